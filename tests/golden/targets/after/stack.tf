module "shop" {
  image_tag = "v1.1.0"
  other_tag = "v1.0.0"
}
