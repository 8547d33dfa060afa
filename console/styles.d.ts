/** esbuild puts every style that is imported into one file. */
declare module '*.css';
