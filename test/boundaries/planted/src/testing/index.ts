import type { Provider } from '../providers/provider.ts';
export const fake: Provider = { id: 'fake' };
