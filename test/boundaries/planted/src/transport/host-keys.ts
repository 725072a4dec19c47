export const hostKeys = 1;
