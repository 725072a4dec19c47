// breaks: remote-runner
export { money } from '../src/core/money.ts';
