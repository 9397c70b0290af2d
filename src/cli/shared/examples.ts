/** Two examples for each command, which its `--help` ends with. */
import type { Command } from 'commander';

/** Without the name of the program; a test parses each. */
export const EXAMPLES: Readonly<Record<string, readonly [string, string]>> = {
  serve: ['serve --base-path /data/images', 'serve --config image-storage.yaml'],
  save: [
    'save fox.png --prompt "a red fox" --model flux-schnell --param seed=42',
    'save *.png --tag keeper --skip-existing',
  ],
  import: ['import ~/ComfyUI/output --dry-run', 'import ~/ComfyUI/output --tag comfyui'],
  export: ['export best --pinned', 'export november --since 2026-11-01 --until 2026-11-30 --model flux-schnell'],
  get: ['get abc123 -o fox.png', 'get 20261130_032011_flux-schnell_abc123.png'],
  list: ["list --query 'fox lora:ink -blurry'", 'list --since 7d --model flux-schnell --limit 0'],
  show: ['show abc123', 'show --workflow abc123 > workflow.json'],
  open: ['open abc123', 'open --file abc123'],
  pin: ['pin abc123', 'pin abc123 def456'],
  unpin: ['unpin abc123', 'unpin abc123 def456'],
  tag: ['tag abc123 +keeper -draft', "tag abc123 --category 'still life'"],
  delete: ['delete abc123', 'delete --permanent abc123 def456'],
  restore: ['restore abc123', 'restore --provider archive abc123'],
  trash: ['trash', 'trash purge --all'],
  cleanup: ['cleanup --older-than 30d --keep-count 1000 --dry-run', "cleanup --query 'tag:draft -is:pinned'"],
  stats: ['stats', 'stats --by month --model flux-schnell'],
  verify: ['verify --deep', 'verify --repair --provider local'],
  copy: ['copy --from local --to archive --before 90d', 'copy --from local --to archive --dry-run'],
  catalog: [
    'catalog rebuild --provider local --config image-storage.yaml',
    'catalog upgrade --provider archive --config image-storage.yaml',
  ],
  doctor: ['doctor', 'doctor --config image-storage.yaml --provider archive'],
  health: ['health', 'health --address unix:/run/image-storage.sock --timeout 1'],
  mcp: ['mcp --read-only', 'mcp --allow-dir ~/Pictures'],
  token: ['token new gallery --scope read', 'token new ci --scope read --scope write --expires 90d'],
  config: ['config check --config image-storage.yaml', 'config print'],
  completion: [
    'completion bash > ~/.local/share/bash-completion/completions/image-storage',
    'completion fish > ~/.config/fish/completions/image-storage.fish',
  ],
};

/** Adds them to the help of each command. */
export function withExamples(program: Command): void {
  for (const command of program.commands) {
    const lines = EXAMPLES[command.name()]?.map((example) => `  image-storage ${example}`) ?? [];
    if (lines.length > 0) command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
  }
}
