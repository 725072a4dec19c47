/** Where the page of a report goes. */
import { GpuRunError, systemErrorCode } from '../core/errors.ts';
import type { JobReport } from '../workflows/report-figures.ts';
import { fileErrors } from './file-errors.ts';

/** `--html` without a value, at the end, before another flag, or before a job: the flag gets an empty one. */
export function optionalFile(argv: readonly string[], flag: string): string[] {
  return argv.flatMap((word, at) => {
    const next = argv[at + 1];
    const isBare = word === `--${flag}` && (next === undefined || next.startsWith('-') || /^job-\d{8}-[a-z0-9]+$/.test(next));
    return isBare ? [`--${flag}=`] : [word];
  });
}

/** @param file empty: a name after the job, in the present folder. @returns its absolute path. @throws GpuRunError `bad-input` where a file lies that is no report */
export async function writeReport(report: JobReport, file: string, now: number): Promise<string> {
  const [{ existsSync, readFileSync, renameSync, rmSync, writeFileSync }, { basename, dirname, join, resolve }, { pageMark, renderPage }] = await Promise.all([
    import('node:fs'),
    import('node:path'),
    import('./render/report-page.ts'),
  ]);
  const path = resolve(file === '' ? `report-${report.job.id}.html` : file);
  try {
    if (existsSync(path) && !readFileSync(path, 'utf8').startsWith(pageMark)) throw isNoReport(path);
    const page = renderPage(report, now);
    const hidden = join(dirname(path), `.${basename(path)}.${process.pid}.part`);
    rmSync(hidden, { force: true }); // of a gpu-run of this number, long dead
    try {
      writeFileSync(hidden, page, { flag: 'wx' });
      renameSync(hidden, path);
    } finally {
      rmSync(hidden, { force: true });
    }
  } catch (error) {
    if (error instanceof GpuRunError) throw error;
    throw notWritten(path, dirname(path), error);
  }
  return path;
}

function notWritten(path: string, folder: string, cause: unknown): GpuRunError {
  const code = systemErrorCode(cause);
  if (code !== 'ENOENT' && code !== 'ENOTDIR') {
    return new GpuRunError('sync', `The report could not be written to ${path}: ${(code && fileErrors[code]?.why) ?? (cause as Error).message}.`, {
      cause,
      hints: [elsewhere],
    });
  }
  return new GpuRunError('sync', `The report could not be written to ${path}: there is no folder ${folder}.`, {
    cause,
    hints: ['Make the folder first.', elsewhere],
  });
}

const elsewhere = 'Give another name behind --html; without one it goes into this folder.';

function isNoReport(path: string): GpuRunError {
  return new GpuRunError('bad-input', `${path} is there already, and is no report of gpu-run: it was left alone.`, {
    hints: ['Give another name behind --html, or remove that file.'],
  });
}
