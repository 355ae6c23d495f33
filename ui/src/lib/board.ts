// Texts of dashboard files.

/** A text of a file with its variables filled in; a term whose variable is empty is left out. */
export function filled(text: string, values: Record<string, string>): string {
  const terms = text.replace(/\S*\$([a-z0-9-]+)\S*/g, (term, name: string) => {
    const value = values[name] ?? "";
    if (!value) return "";
    return term.replace(`$${name}`, /^[\w.*-]+$/.test(value) ? value : `"${value.replaceAll('"', '\\"')}"`);
  });
  return terms.replace(/\s+/g, " ").trim();
}
