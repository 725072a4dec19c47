/** How workflows tell what they are doing. They never print; the command line and the SDK's user decide what is shown. */

export type Phase = 'offers' | 'launch' | 'connect' | 'runner' | 'preflight' | 'sync' | 'fetch' | 'queue' | 'setup' | 'run' | 'outputs' | 'logs' | 'teardown';

export type Report =
  /** Something began, went on (`detail` changes) or ended. `text` is a short sentence without a full stop. */
  | { readonly type: 'phase'; readonly phase: Phase; readonly status: 'begin' | 'end'; readonly text: string }
  /** How far it is. `total` is null while unknown. */
  | { readonly type: 'progress'; readonly phase: Phase; readonly done: number; readonly total: number | null; readonly unit: 'bytes' | 'files' | 'seconds' }
  | { readonly type: 'note'; readonly level: 'info' | 'warn'; readonly text: string }
  | { readonly type: 'link'; readonly state: 'reconnecting' | 'connected'; readonly text: string };

export interface Reporter {
  report(report: Report): void;
}

export const silentReporter: Reporter = { report: () => {} };
