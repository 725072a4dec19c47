import { gcpForFile } from '../e2e/suite/gcp-target.ts';
import { mainJobSuite } from '../e2e/suite/main-job.ts';

mainJobSuite(await gcpForFile());
