/** The plugin as it is by default: Rust checks HMAC. */
import { servePlugin } from './plugin.ts'

servePlugin()
