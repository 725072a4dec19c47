// breaks: protocol-without-node
export { sep } from 'node:path';
