/** What a caller may do: `write` saves and changes, `delete` deletes and restores, `admin` maintains. */
export const SCOPES = ['read', 'write', 'delete', 'admin'] as const;

export type Scope = (typeof SCOPES)[number];

export function isScope(text: string): text is Scope {
  return (SCOPES as readonly string[]).includes(text);
}
