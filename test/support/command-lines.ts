/** Runs several command lines in one process, which costs one start: `node command-lines.ts MAIN '[["list"],["stats"]]'`. */
const [, , main, commands] = process.argv;
const program: { main(argv: readonly string[]): Promise<void> } = await import(main!);
for (const words of JSON.parse(commands!) as string[][]) await program.main(['node', 'image-storage', ...words]);
