// breaks: interfaces
import { local } from './local/local-provider.ts';
import type { Provider } from './provider.ts';
export const registry: Provider[] = [local];
