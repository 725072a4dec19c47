// breaks: sdk
export { main } from '../cli/main.ts';
