/// The named maximum of everything whose size a `tokenizer.json` decides.
package enum TokenizerLimits {
  /// Bytes of a whole `tokenizer.json`; that of Llama 3 has 9 million.
  package static let maximumFileBytes = 64 << 20
  /// Token ids are below this; the largest published vocabularies have 256 thousand.
  package static let maximumVocabularySize = 1 << 22
  /// Steps of one pre-tokenizer, and processors of one post-processor.
  package static let maximumSequenceSteps = 16
}
