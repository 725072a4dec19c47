/** The providers by name, each loaded at its first use. Knows no concrete provider: compose fills it. */
import { GpuRunError } from '../core/errors.ts';
import type { Provider } from './provider.ts';

export interface ProviderRegistry {
  readonly ids: readonly string[];
  get(id: string): Promise<Provider>;
}

export function createRegistry(loaders: Readonly<Record<string, () => Promise<Provider>>>): ProviderRegistry {
  const loaded = new Map<string, Promise<Provider>>();
  return {
    ids: Object.keys(loaders),
    get(id) {
      const load = Object.hasOwn(loaders, id) ? loaders[id] : undefined;
      if (load === undefined) {
        throw new GpuRunError('bad-input', `There is no provider '${id}'.`, { hints: [`The providers are: ${Object.keys(loaders).join(', ')}.`] });
      }
      let provider = loaded.get(id);
      if (provider === undefined) {
        provider = load();
        loaded.set(id, provider);
      }
      return provider;
    },
  };
}
