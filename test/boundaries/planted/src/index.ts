export { gpuRun } from './sdk/gpu-run.ts';
