import { gcpForFile } from './suite/gcp-target.ts';
import { mainJobSuite } from './suite/main-job.ts';

mainJobSuite(await gcpForFile());
