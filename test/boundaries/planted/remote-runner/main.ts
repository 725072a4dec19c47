import { spawn } from 'node:child_process';
import { frame } from '../src/protocol/frame.ts';
export const runner = [spawn, frame];
