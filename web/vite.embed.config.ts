import { defineConfig } from 'vite';

// The host page's script: one classic file under a name that does not change, beside the app's own.
export default defineConfig({
  publicDir: false,
  build: {
    outDir: '../copilot/api/_web',
    emptyOutDir: false,
    target: 'es2022',
    lib: {
      entry: 'src/embed/element.ts',
      formats: ['iife'],
      name: 'Pangting',
      fileName: () => 'embed.js',
    },
  },
});
