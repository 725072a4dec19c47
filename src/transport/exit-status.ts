/** Exit statuses from what SSH says. */
import type { ExitStatus } from './transport.ts';

/** Linux's numbers, whatever computer we run on: the machine is a Linux one. */
const signalNumbers: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGSYS: 31,
};

/** The status of a command that SSH says died of `signal` (`SIGTERM`, ...). */
export function diedOf(signal: string): ExitStatus {
  return { code: 128 + (signalNumbers[signal] ?? 0), signal };
}

/**
 * The status behind a shell's `$?`. A shell shows death by signal N as 128+N and can't tell it from `exit 128+N`:
 * both are taken as the signal, where 128+N is one that programs die of.
 */
export function statusFromShell(code: number): ExitStatus {
  const signal = Object.keys(signalNumbers).find((name) => signalNumbers[name] === code - 128);
  return { code, signal: signal ?? null };
}
