import Bytes
import HTTP1

/// The members by their names.
extension JSONMembers.Name {
  var text: StaticString {
    switch self {
    case .balanceID: "balance_id"
    case .identityID: "identity_id"
    case .ledgerID: "ledger_id"
    case .transactionID: "transaction_id"
    case .reference: "reference"
    case .status: "status"
    case .source: "source"
    case .destination: "destination"
    case .amount: "amount"
    case .preciseAmount: "precise_amount"
    case .currency: "currency"
    case .identifier: "identifier"
    case .distribution: "distribution"
    case .sources: "sources"
    case .destinations: "destinations"
    case .transactions: "transactions"
    }
  }

  var isList: Bool { rawValue >= Self.sources.rawValue }

  var isNumber: Bool { self == .amount || self == .preciseAmount }

  /// The name as Go folds it: ASCII case, and U+017F is an s.
  @inline(__always)
  init?(_ text: Span<UInt8>) {
    guard (6...14).contains(text.count) else { return nil }
    let first = text.packed(0..<min(8, text.count))
    let second = text.count > 8 ? text.packed(8..<text.count) : 0
    guard let name = Self(first.withLowerCaseLetters, second.withLowerCaseLetters),
      name.text.utf8CodeUnitCount == text.count
    else { return nil }
    // Lower-casing makes DEL an underscore.
    guard first.marks(of: 0x7F) | second.marks(of: 0x7F) == 0 else { return nil }
    self = name
  }

  /// Reads a name with bytes beyond ASCII.
  @inline(never)
  init?(folding text: [UInt8]) {
    let folded = Array(String(decoding: text, as: UTF8.self).replacing("\u{17F}", with: "s").utf8)
    self.init(folded.span)
  }

  @inline(__always)
  private init?(_ first: UInt64, _ second: UInt64) {
    switch first {
    case word("s", "o", "u", "r", "c", "e"): self = .source
    case word("s", "o", "u", "r", "c", "e", "s"): self = .sources
    case word("s", "t", "a", "t", "u", "s"): self = .status
    case word("a", "m", "o", "u", "n", "t"): self = .amount
    case word("c", "u", "r", "r", "e", "n", "c", "y"): self = .currency
    case word("r", "e", "f", "e", "r", "e", "n", "c") where second == word("e", " ", " "): self = .reference
    case word("l", "e", "d", "g", "e", "r", "_", "i") where second == word("d", " ", " "): self = .ledgerID
    case word("b", "a", "l", "a", "n", "c", "e", "_") where second == word("i", "d", " "): self = .balanceID
    case word("i", "d", "e", "n", "t", "i", "f", "i") where second == word("e", "r", " "): self = .identifier
    case word("i", "d", "e", "n", "t", "i", "t", "y") where second == word("_", "i", "d"): self = .identityID
    case word("d", "e", "s", "t", "i", "n", "a", "t") where second == word("i", "o", "n"): self = .destination
    case word("d", "e", "s", "t", "i", "n", "a", "t") where second == word("i", "o", "n", "s"): self = .destinations
    case word("d", "i", "s", "t", "r", "i", "b", "u") where second == word("t", "i", "o", "n"): self = .distribution
    case word("t", "r", "a", "n", "s", "a", "c", "t") where second == word("i", "o", "n", "s"): self = .transactions
    case word("t", "r", "a", "n", "s", "a", "c", "t") where second == word("i", "o", "n", "_", "i", "d"):
      self = .transactionID
    case word("p", "r", "e", "c", "i", "s", "e", "_") where second == word("a", "m", "o", "u", "n", "t"):
      self = .preciseAmount
    default: return nil
    }
  }
}

/// Letters of a name; a constant once compiled.
@inline(__always)
private func word(
  _ a: Unicode.Scalar, _ b: Unicode.Scalar, _ c: Unicode.Scalar, _ d: Unicode.Scalar = "\0",
  _ e: Unicode.Scalar = "\0", _ f: Unicode.Scalar = "\0", _ g: Unicode.Scalar = "\0", _ h: Unicode.Scalar = "\0"
) -> UInt64 {
  UInt64(ascii: a, b, c, d, e, f, g, h).withLowerCaseLetters
}
