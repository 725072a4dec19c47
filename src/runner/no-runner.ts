/** The one kind of failure after which a machine can still be reached, only not by a runner. */
import { GpuRunError } from '../core/errors.ts';

/** No runner can live there: no program to start it with, no place for one, or nothing may be run at all. */
export class NoRunnerError extends GpuRunError {}
