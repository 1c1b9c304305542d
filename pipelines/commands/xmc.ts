/** `millrace xmc`: tagging models on files, without Kafka: train, predict, evaluate, and bring models that PECOS trained. */
import { availableParallelism } from 'node:os'
import { Argument, Command, InvalidArgumentError, Option } from 'commander'
import type { Transform } from '../../operators/xmc/model.ts'
import type {
  EvaluateArguments,
  ImportArguments,
  PredictArguments,
  TrainArguments,
} from '../xmc/arguments.ts'
import { above0, from0, positive, positives, whole } from './arguments.ts'

const TRANSFORMS: readonly Transform[] = [
  'l3-hinge',
  'l2-hinge',
  'l1-hinge',
  'sigmoid',
  'log-l3-hinge',
  'log-l2-hinge',
  'log-l1-hinge',
  'log-sigmoid',
  'identity',
]

export const xmcCommand = (): Command => {
  const command = new Command('xmc').description('tagging models on files: train, predict, evaluate, import')
  for (const each of [trainCommand(), predictCommand(), evaluateCommand(), importCommand()])
    command.addCommand(each)
  return command
}

const choice = (flags: string, description: string, names: readonly string[], fallback: string): Option =>
  new Option(flags, description).choices(names).default(fallback)
const documents = () =>
  new Argument('<documents>', "a file in the Extreme Classification Repository's text format, .gz too")
const asTheyAre = () =>
  new Option('--no-normalise', 'take the documents as they are, not divided by their Euclidean norm')
const labelFile = () =>
  new Option('--labels <file>', 'ids of the labels, one a line (default: their numbers)')
const replace = () => new Option('--replace', 'let a model that is there give way')

const trainCommand = (): Command =>
  new Command('train')
    .description('learn a model from labelled documents')
    .addArgument(documents())
    .argument('<model>', 'the folder to write')
    .option('--branching <n>', 'children of a node above the clusters', positive, 16)
    .option('--max-leaf <n>', 'labels of a cluster, at most', positive, 100)
    .option('--seed <n>', 'of the clustering', whole, 0)
    .addOption(
      choice('--negatives <scheme>', 'what classifiers learn from', ['tfn', 'man', 'tfn+man'], 'tfn'),
    )
    .addOption(
      choice(
        '--solver <loss>',
        'of the classifiers',
        ['squared-hinge', 'hinge', 'logistic'],
        'squared-hinge',
      ),
    )
    .option('-C, --cost <c>', 'weight of the loss against the size of the weights', above0, 1)
    .option('--eps <number>', 'how near to the optimum', above0, 0.1)
    .option('--max-iterations <n>', 'passes over the documents, at most', positive, 100)
    .option('--threshold <number>', 'weights below it are dropped', from0, 0.1)
    .option('--bias <number>', 'the constant feature; 0 for none', from0, 1)
    .option('--beam <n>', 'nodes kept of each level', positive, 10)
    .addOption(choice('--transform <name>', "what becomes of a classifier's value", TRANSFORMS, 'l3-hinge'))
    .option('--disentangle <clusters>', 'clusters of a label, at most (default: one)', positive)
    .option('--rounds <n>', 'with --disentangle: times to assign and train', positive, 1)
    .option('--cap <n>', 'with --disentangle: labels of a cluster, at most (default: no bound)', positive)
    .addOption(
      choice('--merge <how>', "with --disentangle: of a label's scores", ['mean', 'max', 'sum'], 'mean'),
    )
    .addOption(labelFile())
    .addOption(asTheyAre())
    .option('--threads <n>', 'classifiers at a time (default: as many as there are cores)', positive)
    .addOption(replace())
    .option('--json', 'one line of JSON at the end')
    .action(async (file: string, model: string, options: TrainArguments) => {
      const { train } = await import('../xmc/commands.ts')
      await train(file, model, { ...options, threads: options.threads ?? availableParallelism() })
    })

const predictCommand = (): Command =>
  new Command('predict')
    .description('the labels of documents, best first')
    .argument('<model>', "a model's folder")
    .addArgument(documents())
    .option('--top <n>', 'labels a document, at most', positive, 10)
    .option('--beam <n>', "nodes kept of each level (default: the model's)", positive)
    .option('--out <file>', 'where they go (default: standard output)')
    .addOption(asTheyAre())
    .option('--json', 'a line of JSON a document, labels by their ids')
    .action(async (model: string, file: string, options: PredictArguments) => {
      const { predict } = await import('../xmc/commands.ts')
      await predict(model, file, options)
    })

const evaluateCommand = (): Command =>
  new Command('evaluate')
    .description('precision, propensity-scored precision, recall and nDCG')
    .argument('<predicted>', "a model's folder, or a file of predictions")
    .addArgument(documents())
    .option('--at <k,…>', 'ranks to cut at', positives, [1, 3, 5])
    .option('--train <file>', 'the training documents, for propensities (default: every label weighs alike)')
    .option('--propensity <a,b>', 'their parameters', propensity, [0.55, 1.5])
    .option('--beam <n>', "nodes kept of each level (default: the model's)", positive)
    .addOption(asTheyAre())
    .option('--json', 'one line of JSON')
    .action(async (predicted: string, file: string, options: EvaluateArguments) => {
      const { evaluate } = await import('../xmc/commands.ts')
      await evaluate(predicted, file, options)
    })

const importCommand = (): Command =>
  new Command('import')
    .description('make a model of one that PECOS trained (XR-Linear, 1.2)')
    .argument('<folder>', 'what XLinearModel.save wrote')
    .argument('<model>', 'the folder to write')
    .option('--beam <n>', 'nodes kept of each level (default: as it was trained)', positive)
    .addOption(
      new Option(
        '--transform <name>',
        "what becomes of a classifier's value (default: as it was trained)",
      ).choices(TRANSFORMS),
    )
    .addOption(labelFile())
    .addOption(replace())
    .option('--json', 'one line of JSON')
    .action(async (folder: string, model: string, options: ImportArguments) => {
      const { importPecos } = await import('../xmc/commands.ts')
      await importPecos(folder, model, options)
    })

/** `a,b` of propensities. */
function propensity(text: string): [number, number] {
  const [a, b, ...more] = text.split(',').map(above0)
  if (a === undefined || b === undefined || more.length > 0)
    throw new InvalidArgumentError('it must be two numbers above 0, as in 0.55,1.5')
  return [a, b]
}
