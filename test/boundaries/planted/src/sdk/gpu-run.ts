import { up } from '../workflows/up.ts';
export const gpuRun = up;
