/** What tags documents: a trained model beside all that is needed to ask it, so that words, features and labels always belong together. */
import type { TfIdf } from './features/tf-idf.ts'
import type { XmcModel } from './model.ts'

export interface TagModel {
  readonly xmc: XmcModel
  /** A stable id a label, unique: label numbers change from training to training, ids never do. */
  readonly labels: readonly string[]
  /** How a text becomes features; null where sparse features are given. */
  readonly tfIdf: TfIdf | null
}
