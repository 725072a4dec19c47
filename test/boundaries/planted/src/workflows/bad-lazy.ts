// breaks: workflows
export const lazy = () => import('../cli/main.ts');
