// breaks: no-packages
export { z } from 'zod';
