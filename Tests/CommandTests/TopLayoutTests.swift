import Testing

@testable import blnk_gateway

@Suite struct TopLayoutTests {
  static let shares: [(linesLeft: Int, rowsAfter: [Int], capacity: Int)] = [
    // Alone, a table gets everything except its own head.
    (20, [], 17),
    // Equal shares if the others need theirs, and what they leave if not.
    (30, [100, 100], 7), (30, [1, 100], 13), (30, [1, 2], 18), (30, [0, 0], 21),
    // Nothing fits.
    (6, [100, 100], -1), (3, [], 0), (0, [1], -3), (-5, [1, 1], -4),
  ]

  @Test(arguments: shares) func `a table gets its share of the lines, and what others do not need`(
    linesLeft: Int, rowsAfter: [Int], capacity: Int
  ) {
    #expect(TopLayout.capacity(linesLeft: linesLeft, rowsAfter: rowsAfter) == capacity)
  }
}
