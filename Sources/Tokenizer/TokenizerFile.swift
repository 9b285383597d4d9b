/// The fields of a Hugging Face `tokenizer.json` that decide how text is encoded.
///
/// The format is that of the serde structures of the crate `tokenizers`, version 0.23.
/// Properties have its names. `truncation` and `padding` are left out: they are settings of a
/// caller, not of the model.
struct TokenizerFile: Decodable {
  struct AddedToken: Decodable {
    let id: Int
    let content: String
    let single_word: Bool?
    let lstrip: Bool?
    let rstrip: Bool?
    let normalized: Bool?
    let special: Bool?
  }

  struct Model: Decodable {
    let type: String?
    let dropout: Double?
    let unk_token: String?
    let continuing_subword_prefix: String?
    let end_of_word_suffix: String?
    let byte_fallback: Bool?
    let ignore_merges: Bool?
    let vocab: [String: Int]
    let merges: Merges
  }

  /// Older files write a merge as `"a b"`, newer ones as `["a", "b"]`.
  enum Merges: Decodable {
    case joined([String])
    case pairs([[String]])

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let strings = try? container.decode([String].self) {
        self = .joined(strings)
      } else {
        self = .pairs(try container.decode([[String]].self))
      }
    }
  }

  /// A normalizer, pre-tokenizer, post-processor or decoder: which one is in `type`, and the
  /// other fields are those of all supported types together.
  struct Component: Decodable {
    struct Pattern: Decodable {
      let Regex: String?
      let String: Swift.String?
    }

    struct TemplatePiece: Decodable {
      struct Item: Decodable {
        let id: String
      }

      let SpecialToken: Item?
      let Sequence: Item?
    }

    struct TemplateToken: Decodable {
      let ids: [Int]
    }

    let type: String
    let normalizers: [Component]?
    let pretokenizers: [Component]?
    let processors: [Component]?
    let decoders: [Component]?
    let pattern: Pattern?
    let behavior: String?
    let invert: Bool?
    let individual_digits: Bool?
    let add_prefix_space: Bool?
    let use_regex: Bool?
    let single: [TemplatePiece]?
    let special_tokens: [String: TemplateToken]?
  }

  let added_tokens: [AddedToken]?
  let normalizer: Component?
  let pre_tokenizer: Component?
  let post_processor: Component?
  let decoder: Component?
  let model: Model
}
