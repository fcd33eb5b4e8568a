package bucket

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Address is where a bucket is.
type Address struct {
	Bucket string
	// Prefix is what all keys begin with: empty, or something that ends in a slash.
	Prefix string
	Region string
	// Endpoint is the server: http or https. That of AWS is found by the region.
	Endpoint *url.URL
}

// Parse reads an address such as
//
//	s3://bucket?region=eu-central-1
//	s3://bucket/prefix?endpoint=https://minio.internal:9000
//
// Without an endpoint it is AWS; without a region it is us-east-1. The error does not
// quote what was given.
func Parse(text string) (Address, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.Port() != "" || u.User != nil || u.Fragment != "" {
		return Address{}, errors.New("want such as s3://bucket/prefix?region=eu-central-1; credentials belong in AWS_ACCESS_KEY_ID and " +
			"AWS_SECRET_ACCESS_KEY")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Address{}, errors.New("what is behind the question mark is no query")
	}
	a := Address{Bucket: u.Host, Region: "us-east-1"}
	if p := strings.Trim(u.Path, "/"); p != "" {
		a.Prefix = p + "/"
	}
	for name, values := range query {
		switch {
		case len(values) != 1 || values[0] == "":
			return Address{}, fmt.Errorf("want %s once, with a value", name)
		case name == "region":
			a.Region = values[0]
		case name == "endpoint":
			if a.Endpoint, err = parseEndpoint(values[0]); err != nil {
				return Address{}, err
			}
		default:
			return Address{}, fmt.Errorf("there is no parameter %q: want region or endpoint", name)
		}
	}
	return a, nil
}

func parseEndpoint(text string) (*url.URL, error) {
	e, err := url.Parse(text)
	if err != nil || e.Scheme != "http" && e.Scheme != "https" || e.Host == "" || strings.Trim(e.Path, "/") != "" ||
		e.User != nil || e.RawQuery != "" || e.Fragment != "" {
		return nil, errors.New("want an endpoint such as https://minio.internal:9000")
	}
	return e, nil
}

func (a Address) host() string {
	if a.Endpoint == nil {
		return "s3.amazonaws.com"
	}
	return a.Endpoint.Host
}

func (a Address) secure() bool { return a.Endpoint == nil || a.Endpoint.Scheme == "https" }
