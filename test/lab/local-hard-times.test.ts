import { atLength, hardTimesSuite } from '../e2e/suite/hard-times.ts';

hardTimesSuite({ label: 'local', config: 'provider: local' }, atLength);
