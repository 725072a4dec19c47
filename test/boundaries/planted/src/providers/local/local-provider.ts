import type { Provider } from '../provider.ts';
import { folder } from './machine-folder.ts';
export const local: Provider = { id: String(folder) };
