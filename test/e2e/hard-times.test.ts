import { hardTimesSuite, inBrief } from './suite/hard-times.ts';

hardTimesSuite({ label: 'local', config: 'provider: local' }, inBrief);
