/** The plugin with BoringSSL for HMAC. */
import { servePlugin } from './plugin.ts'

servePlugin({ signatureBackend: 'boring' })
