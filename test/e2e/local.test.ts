import { mainJobSuite } from './suite/main-job.ts';

mainJobSuite({ label: 'local', config: 'provider: local' });
