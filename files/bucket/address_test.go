package bucket_test

import (
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/files/bucket"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	minio := &url.URL{Scheme: "http", Host: "minio.internal:9000"}
	for text, want := range map[string]bucket.Address{
		"s3://b":                    {Bucket: "b", Region: "us-east-1"},
		"s3://b/?region=eu-south-1": {Bucket: "b", Region: "eu-south-1"},
		"s3://b/a/c/?endpoint=http://minio.internal:9000":    {Bucket: "b", Prefix: "a/c/", Region: "us-east-1", Endpoint: minio},
		"s3://b?endpoint=http%3A%2F%2Fminio.internal%3A9000": {Bucket: "b", Region: "us-east-1", Endpoint: minio},
	} {
		if got, err := bucket.Parse(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
		}
	}
}

// What is no address is refused, and not quoted: it may have a key in it.
func TestWhatIsNoAddressIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                   "want such as s3://",
		"gs://hunter2":                       "want such as s3://",
		"s3://":                              "want such as s3://",
		"s3://id:hunter2@b":                  "credentials belong in AWS_ACCESS_KEY_ID",
		"s3://b?secret=hunter2":              `no parameter "secret"`,
		"s3://b?region=":                     "want region once, with a value",
		"s3://b?region=a&region=hunter2":     "want region once",
		"s3://b?region=%zz":                  "no query",
		"s3://b?endpoint=hunter2":            "want an endpoint such as",
		"s3://b?endpoint=ftp://hunter2":      "want an endpoint such as",
		"s3://b?endpoint=http://a:hunter2@h": "want an endpoint such as",
		"s3://b?endpoint=http://h/hunter2":   "want an endpoint such as",
	} {
		_, err := bucket.Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
