import { frame } from '../protocol/frame.ts';
export const client = frame;
