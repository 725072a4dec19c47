// breaks: no-packages
export { execa } from 'execa';
