/// A text that is known while compiling, as `packed` gives it: comparing with it looks nothing up.
extension UInt64 {
  /// At most eight ASCII characters, the first one lowest.
  @inline(__always)
  init(
    packing first: Unicode.Scalar, _ second: Unicode.Scalar = "\0", _ third: Unicode.Scalar = "\0",
    _ fourth: Unicode.Scalar = "\0", _ fifth: Unicode.Scalar = "\0", _ sixth: Unicode.Scalar = "\0",
    _ seventh: Unicode.Scalar = "\0", _ eighth: Unicode.Scalar = "\0"
  ) {
    let low = first.value | second.value << 8 | third.value << 16 | fourth.value << 24
    let high = fifth.value | sixth.value << 8 | seventh.value << 16 | eighth.value << 24
    self = UInt64(low) | UInt64(high) << 32
  }
}
