// breaks: oclif-only-in-cli
export { Command } from '@oclif/core';
