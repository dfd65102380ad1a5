/** Chromium's path, where it is installed. */
export function chromiumPath(): string | null {
  return Bun.which('chromium') ?? Bun.which('google-chrome')
}

/** It runs as root here, and talks to nobody but the test. */
export const chromiumFlags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
