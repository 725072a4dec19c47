/** A follower that comes back to a log that differs: `setting-aside-process.ts JOBS-FOLDER JOB`. It says `ready` before, and `done` behind it. */
import { writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { JobCopy } from '../../../src/workflows/write-copy.ts';

const [, , folder = '', id = ''] = process.argv;
const copy = new JobCopy(folder, id);
writeSync(1, 'ready\n');
copy.setAside('out', 5, [{ from: 5, to: 10, crc: crc32('lost\n') }]);
copy.writeLog('out', 5, Buffer.from('new\n'));
copy.close();
writeSync(1, 'done\n');
