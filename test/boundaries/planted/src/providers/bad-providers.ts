// breaks: providers
export { local } from './local/local-provider.ts';
