/// What a page for operators' commands answers: JSON, or a line of text with its status.
enum AdminAnswer {
  case json([UInt8])
  case line(Int, String)
}
