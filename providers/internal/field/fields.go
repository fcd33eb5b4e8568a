package field

// Fields are those of a request that a format has a word for, and those that may
// be there if they ask for nothing. R is what they are read into, in their order.
type Fields[R any] []struct {
	Name string
	Read func(R, Value) error
}

// ReadInto reads the members of request into r, and returns them. What is not
// among f, or asks for what the format cannot say, is refused, and so is a request
// without one of required.
func (f Fields[R]) ReadInto(r R, request Value, required ...string) (map[string]Value, error) {
	names := make([]string, 0, len(f))
	for _, one := range f {
		names = append(names, one.Name)
	}
	members, err := request.Object(names...)
	if err != nil {
		return nil, err
	}
	for _, name := range required {
		if _, ok := members[name]; !ok {
			return nil, request.Child(name, nil).Refuse("is required")
		}
	}
	for _, one := range f {
		if v, ok := members[one.Name]; ok {
			if err := one.Read(r, v); err != nil {
				return nil, err
			}
		}
	}
	return members, nil
}

// Ignore accepts whatever v is.
func Ignore[R any](R, Value) error { return nil }

// Only accepts one value: the one that asks for nothing. See [Value.Only].
func Only[R any](want any) func(R, Value) error {
	return func(_ R, v Value) error { return v.Only(want) }
}

// Nothing accepts what is empty. See [Value.Nothing].
func Nothing[R any](_ R, v Value) error { return v.Nothing() }
