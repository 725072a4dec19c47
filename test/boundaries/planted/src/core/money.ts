import { readFileSync } from 'node:fs';
import { frame } from '../protocol/frame.ts';
export const money = [readFileSync, frame];
