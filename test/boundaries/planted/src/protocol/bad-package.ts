// breaks: protocol-without-node
export type { ZodError } from 'zod';
