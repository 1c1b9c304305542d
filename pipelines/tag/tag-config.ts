/** What the pipelines of documents take from the configuration. */
import { join } from 'node:path'
import type { Config } from '../../infra/config/schema.ts'
import type { TagConfig } from '../../infra/config/tag.ts'
import { MillraceError } from '../../schemas/errors.ts'

/** @throws MillraceError INVALID_CONFIG where documents are not configured */
export const tagConfig = ({ tag }: Config): TagConfig => {
  if (tag !== undefined) return tag
  throw new MillraceError('INVALID_CONFIG', 'tag: is required to tag documents; `tag: {}` takes the defaults')
}

/** The folder in the model store that holds the versions of one model of one installation, and nothing else. */
export const modelDirectory = ({ app, topics, models }: Config, name: string): string =>
  join(models.directory, 'documents', `${topics.prefix}${app}`, name)
