// breaks: provider-islands
export { folder } from '../local/machine-folder.ts';
