package batches

// Codes of a [Problem], beside those of a [jobs.Error] that says what is wrong with the
// request of a line.
const (
	CodeInvalidJSONLine   = "invalid_json_line"
	CodeInvalidUTF8       = "invalid_utf8"
	CodeLineTooLong       = "line_too_long"
	CodeMissingCustomID   = "missing_custom_id"
	CodeInvalidCustomID   = "invalid_custom_id"
	CodeDuplicateCustomID = "duplicate_custom_id"
	CodeInvalidMethod     = "invalid_method"
	CodeInvalidURL        = "invalid_url"
	CodeMissingBody       = "missing_body"
	// CodeUnchecked: the line could not be checked, and it is not the caller who can do
	// something about it.
	CodeUnchecked = "internal_error"

	// Those of all the input.
	CodeEmptyFile    = "empty_file"
	CodeFileTooLarge = "file_too_large"
	CodeTooManyLines = "too_many_lines"
)
