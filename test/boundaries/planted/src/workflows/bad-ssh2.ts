// breaks: ssh2-only-in-transport
export type { Client } from 'ssh2';
